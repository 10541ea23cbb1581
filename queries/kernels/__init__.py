"""Pure folds over user-ordered arrays: no connection, file, clock or global."""
