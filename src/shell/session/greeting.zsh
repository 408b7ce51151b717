# Read once by the zsh of a session: from then on it says on its terminal where each command begins and ends.
setopt interactive_comments hist_ignore_space
unsetopt prompt_cr prompt_sp
unset HISTFILE
bindkey -e
__trae_say() { builtin printf '\033]133;%s\007' "$1" >/dev/tty }
# Before each prompt: the exit code.
__trae_prompt() {
    local code=$?
    { __trae_say "D;@NONCE@;$code" } 2>/dev/null
    return $code
}
# Before what was typed runs: the line, with a number of its own. One that begins with a blank is nobody's business, as in the history.
typeset -gi __trae_typed=0
__trae_preexec() {
    local line=${1:-$3}
    if [[ $line != ' '* ]]; then
        __trae_typed=$((__trae_typed + 1))
        __trae_say "E;@NONCE@;$__trae_typed ${${line//$'\a'}//$'\e'}"
    fi
    __trae_say "C;@NONCE@"
}
# Takes in the command and hands on the exit code of the one before, which the new one may ask for.
__trae_begin() {
    local code=$?
    IFS= builtin read -r -d '' __trae_command <'@FOLDER@/command'
    __trae_say "C;@NONCE@;$1"
    return $code
}
__trae_end() {
    __trae_say "D;@NONCE@;$2;$1"
    return $2
}
precmd_functions=(__trae_prompt $precmd_functions)
preexec_functions=(__trae_preexec $preexec_functions)
PS1='%n@%m:%~%# '
