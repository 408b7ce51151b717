# Read once by the PowerShell of a session: from then on it says on its terminal where each command begins and ends.
function global:__trae_say([string]$what) { [Console]::Write([string][char]27 + ']133;' + $what + [char]7) }
function global:__trae_code([bool]$well) { if ($well) { 0 } elseif ($global:LASTEXITCODE) { $global:LASTEXITCODE } else { 1 } }
function global:prompt {
    $code = __trae_code $?
    # Programs, and whoever asks where this session is, see the folder of the process.
    try { [Environment]::CurrentDirectory = (Get-Location -PSProvider FileSystem).ProviderPath } catch { }
    __trae_say "D;@NONCE@;$code"
    "PS $($executionContext.SessionState.Path.CurrentLocation)$('>' * ($nestedPromptLevel + 1)) "
}
function global:__trae_begin([string]$number) {
    $global:LASTEXITCODE = 0
    $global:__trae_command = [IO.File]::ReadAllText('@FOLDER@/command.ps1')
    __trae_say "C;@NONCE@;$number"
}
function global:__trae_end([string]$number, [bool]$well) { __trae_say "D;@NONCE@;$(__trae_code $well);$number" }
# The key that wipes the line before a command, which not every editing mode has.
if (Get-Module PSReadLine) { Set-PSReadLineKeyHandler -Chord 'Ctrl+u' -Function RevertLine }
