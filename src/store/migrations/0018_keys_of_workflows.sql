-- The ids of the workflows that a key is for, separated by blanks; empty where it is for none in particular.
ALTER TABLE keys ADD COLUMN workflows TEXT NOT NULL DEFAULT '';
