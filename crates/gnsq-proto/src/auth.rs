//! AUTH: what nsqd answers about the owner of a secret.

use serde::{Deserialize, Serialize};

/// nsqd's answer to AUTH: whom the auth server knows the client as. Fields of other versions are ignored or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AuthResponse {
    /// Who it is.
    pub identity: String,
    /// Where to read more about them.
    pub identity_url: String,
    /// How many authorizations they have.
    pub permission_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_reply_of_nsqd_1_3_0() {
        let reply = r#"{"identity":"me","identity_url":"http://x","permission_count":1}"#;
        let reply: AuthResponse = serde_json::from_str(reply).unwrap();
        assert_eq!((reply.identity.as_str(), reply.permission_count), ("me", 1));
    }
}
