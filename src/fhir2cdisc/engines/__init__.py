"""Where the stages run; the declarations do not know."""
