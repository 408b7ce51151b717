# Read once by the sh of a session: from then on it says on its terminal where each command ends. It has no way to say where one begins
# that was typed, and what that was: this is told from the keys.
__trae_say() { printf '\033]133;%s\007' "$1" >/dev/tty; }
# Takes in the command and hands on the exit code of the one before, which the new one may ask for.
__trae_begin() {
    __trae_code=$?
    __trae_command=$(command -p cat '@FOLDER@/command'; printf x)
    __trae_command=${__trae_command%x}
    __trae_say "C;@NONCE@;$1"
    return "$__trae_code"
}
__trae_end() {
    __trae_say "D;@NONCE@;$2;$1"
    return "$2"
}
__trae_prompt() { { __trae_say "D;@NONCE@;$?"; } 2>/dev/null; }
__trae_more() { { __trae_say "M;@NONCE@"; } 2>/dev/null; }
PS1='$(__trae_prompt)$PWD\$ '
PS2='$(__trae_more)> '
