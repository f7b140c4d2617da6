"""Display filters: Wireshark's habits over the columns, compiled to parameterised SQL."""
