"""The command line: flags, exit statuses and words on the terminal."""
