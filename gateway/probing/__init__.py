"""`gateway probe`: what every target really does, asked of the target itself, beside what the configuration claims."""
