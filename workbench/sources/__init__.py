"""Where bytes come from: files, folders, compressed files, standard input."""
