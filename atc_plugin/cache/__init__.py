"""Results kept on disk between runs and shared between processes; knows keys and arrays, not what they mean."""
