"""Pictures: functions from data to a chart or to HTML, without Streamlit; one module a view, `base` is shared."""
