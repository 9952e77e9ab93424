#!/bin/sh
# Restart every program, one after the other.
set -eu
for program in $(supervisorctl status | awk '{print $1}'); do supervisorctl restart "$program"; done
