-- How shell sessions ended and what they showed last; where each command ran.

ALTER TABLE shell_sessions ADD COLUMN ended_at TEXT;
ALTER TABLE shell_sessions ADD COLUMN exit_code INTEGER;
ALTER TABLE shell_sessions ADD COLUMN end_reason TEXT;
ALTER TABLE shell_sessions ADD COLUMN screen TEXT;

ALTER TABLE shell_commands ADD COLUMN working_directory TEXT;
