//! Many at work, and deaths at any moment.
