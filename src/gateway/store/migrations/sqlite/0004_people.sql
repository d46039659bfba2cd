-- Which people the provider of a session had when it began, hashed: another provider of the same name has others.
ALTER TABLE sessions ADD COLUMN people BLOB;
