"""What is computed from answers: pure, without Streamlit."""
