"""Why there is no answer."""

import streamlit as st

from console.api import ApiError


def show_error(err: ApiError) -> None:
    """What happened, what to do, and the API's own words as plain text."""
    message = f"**{err.what}**  \n{err.remedy}"
    if err.is_temporary:
        st.warning(message, icon=":material/sync_problem:")
    else:
        st.error(message, icon=":material/error:")
    if err.detail:
        st.text(f"The API says: {err.detail}")
    if err.is_temporary:
        st.button("Ask again", icon=":material/refresh:")
