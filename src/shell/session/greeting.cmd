@echo off
rem Read once by the cmd of a session: from then on it says on its terminal where each command begins and ends.
> "@FOLDER@\run.cmd" (
echo @echo off
echo ^<nul set /p "=@ESC@]133;C;@NONCE@;%%1@BEL@"
echo call "@FOLDER@\command.cmd"
echo ^<nul set /p "=@ESC@]133;D;@NONCE@;%%ERRORLEVEL%%;%%1@BEL@"
)
prompt $E]133;D;@NONCE@;0$E\$P$G
