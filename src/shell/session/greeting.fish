# Read once by the fish of a session: from then on it says on its terminal where each command begins and ends.
set -g fish_greeting
set -g fish_private_mode 1
set -g __trae_status 0
set -g __trae_typed 0
function __trae_say
    builtin printf '\033]133;%s\007' $argv[1] >/dev/tty
end
function fish_title
end
# Once before each prompt: the exit code. Behind what was typed at once, before a line that was not ended is.
set -g __trae_told 0
function __trae_over --on-event fish_postexec
    set -g __trae_status $status
    if not string match -q ' __trae_begin *' -- $argv[1]
        set -g __trae_told 1
        __trae_say "D;@NONCE@;$__trae_status"
    end
end
function __trae_prompt --on-event fish_prompt
    if test $__trae_told = 0
        __trae_say "D;@NONCE@;$__trae_status"
    end
    set -g __trae_told 0
end
# Before what was typed runs: the line, with a number of its own. One that begins with a blank is nobody's business, as in the history.
function __trae_preexec --on-event fish_preexec
    if not string match -q ' *' -- $argv[1]
        set -g __trae_typed (math $__trae_typed + 1)
        set -l line (string replace -ra '[\x07\x1b]' '' -- $argv[1] | string collect)
        __trae_say "E;@NONCE@;$__trae_typed $line"
    end
    __trae_say "C;@NONCE@"
end
# Takes in the command and hands on the exit code of the one before, which the new one may ask for.
function __trae_begin
    set -l code $status
    read -gz __trae_command <'@FOLDER@/command'
    __trae_say "C;@NONCE@;$argv[1]"
    return $code
end
function __trae_end
    __trae_say "D;@NONCE@;$argv[2];$argv[1]"
    return $argv[2]
end
# Keys of ours, which wipe what is being edited.
function __trae_anew
    commandline -r ''
    __trae_say "D;@NONCE@;$__trae_status"
    commandline -f repaint
end
bind \e\[7777~ 'commandline -r ""'
bind \e\[7778~ __trae_anew
