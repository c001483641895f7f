"""What is outside the database: models and embedders. The setting's value is the file's name."""
