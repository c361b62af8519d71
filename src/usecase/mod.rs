//! What tender does where several stores, or a file and a row, must agree. A request that needs one query does not pass here.

pub mod audit_log;
pub mod authenticate_client;
pub mod check_store;
pub mod check_update;
pub mod claim;
pub mod grant_token;
pub mod heal_packages;
pub mod hear_device;
pub mod hold_back;
pub mod issue_token;
pub mod judge_token;
pub mod log_in;
pub mod manage_clients;
pub mod open_package;
pub mod open_packages;
pub mod publish_package;
pub mod register_device;
pub mod remove_package;
pub mod resume_upload;
pub mod revoke_token;
pub mod room;
pub mod scrub;
pub mod status;
pub mod sweep;
pub mod track_progress;
pub mod watch_concerns;
