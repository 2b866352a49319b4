"""The HTTP interface that OpenGnsys 1.1's repository has, answered as it answers."""
