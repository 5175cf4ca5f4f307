#!/bin/sh
# Starts the console on App Service. Streamlit takes its secrets from a file; App Service has them in a variable, from the
# vault. Until somebody puts them there, that variable holds the reference itself, which is no TOML: no file then, and
# the console stays locked.
set -eu
case "${STREAMLIT_SECRETS:-}" in
    *"[auth]"*) (umask 077 && printf "%s" "$STREAMLIT_SECRETS" > "$STREAMLIT_SECRETS_FILES") ;;
esac
unset STREAMLIT_SECRETS
exec python -m streamlit run console/app.py --server.address 0.0.0.0 --server.port "${WEBSITES_PORT:-8000}" \
    --server.headless true
