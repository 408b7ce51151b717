# Read once by the bash of a session: from then on it says on its terminal where each command begins and ends.
__trae_say() { builtin printf '\033]133;%s\007' "$1" >/dev/tty; }
# Before each prompt: the last line of the history, for what was typed, and the exit code.
__trae_prompt() {
    local status=$?
    builtin printf '\033]133;E;@NONCE@;' >/dev/tty
    HISTTIMEFORMAT= builtin history 1 >/dev/tty
    builtin printf '\007' >/dev/tty
    __trae_say "D;@NONCE@;$status"
    return "$status"
}
# Takes in the command and hands on the exit code of the one before, which the new one may ask for.
__trae_begin() {
    local status=$?
    IFS= builtin read -r -d '' __trae_command <'@FOLDER@/command'
    __trae_say "C;@NONCE@;$1"
    return "$status"
}
__trae_end() {
    __trae_say "D;@NONCE@;$2;$1"
    return "$2"
}
unset HISTFILE
HISTCONTROL=ignorespace
PROMPT_COMMAND='{ __trae_prompt; } 2>/dev/null'
PS0='\e]133;C;@NONCE@\a'
PS1='\u@\h:\w\$ '
