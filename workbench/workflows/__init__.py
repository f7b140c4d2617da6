"""One module per user task; joins the floors below."""
