#!/usr/bin/env bash
# An order desk, as somebody else's program would be: a form in a window, then an answer in another.
# What the form got is written to the file named first, so that anyone can check whether the typing arrived.
set -u
got=$1
export LANG=C.UTF-8 LC_ALL=C.UTF-8 GDK_BACKEND=x11 NO_AT_BRIDGE=1
answer=$(zenity --forms --title "Order desk" --text "New order" --width 640 --add-entry "Customer" --add-entry "Number" --separator '|') || exit 1
printf '%s\n' "$answer" > "$got"
customer=${answer%%|*}
if [ -n "$customer" ]; then
    exec zenity --info --title "Order desk" --width 640 --timeout 60 --text "Answer: accepted"
else
    exec zenity --info --title "Order desk" --width 640 --timeout 60 --text "Answer: refused"
fi
