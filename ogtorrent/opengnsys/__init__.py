"""OpenGnsys's commands, by their names and with their arguments, in the places where it has them."""
