#!/bin/sh
# What there is to see on the container's desktop: a background and a terminal. A right click on the background opens another.
# Whoever may use this desktop may type into it.
xsetroot -solid '#2e3440'
exec xterm -fa 'DejaVu Sans Mono' -fs 12 -bg '#1b1f27' -fg '#d8dee9' -geometry 100x28+60+60 -T 'TRAE'
