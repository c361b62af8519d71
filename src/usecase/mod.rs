//! What tender does where several stores, or a file and a row, must agree. A request that needs one query does not pass here.

pub mod audit_log;
pub mod check_update;
pub mod claim;
pub mod hear_device;
pub mod hold_back;
pub mod issue_token;
pub mod log_in;
pub mod open_packages;
pub mod publish_package;
pub mod register_device;
pub mod remove_package;
pub mod sweep;
