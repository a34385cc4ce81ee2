"""The response store: every answer under its request's key; it knows no teacher."""
