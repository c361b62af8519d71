//! Tokens whose header names another key than the server's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Operator, START, TestServer};

/// A token with this header, signed with this key.
fn sign(header: &Value, claims: &Value, key: &[u8]) -> String {
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

/// The key that counts is the server's own, whatever a token's header says: not a file or a row that `kid` names, not a key that
/// comes along (`jwk`, `x5c`) or would have to be fetched (`jku`, `x5u`), and not the public key of a device taken for a secret.
/// Nothing is read or fetched; the answer is a 401.
#[tokio::test]
async fn no_header_of_a_token_chooses_its_key() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("00:11:22:33:44:55").await;
    let now = START.as_secs();
    let claims = [
        json!({ "device_id": device.mac_address, "created_at": now, "expires": 300 }),
        json!({ "sub": "admin", "scope": "rdfm_admin_rw", "iat": now, "exp": now + 3600, "jti": "1" }),
    ];
    let pem = device.public_key_pem();
    // Nobody listens there; a server that fetched would at least take its time.
    let elsewhere = "http://127.0.0.1:1/keys.json";
    let headers = [
        json!({ "kid": "" }),
        json!({ "kid": "0" }),
        json!({ "kid": "/dev/null" }),
        json!({ "kid": "../../../../../../dev/null" }),
        json!({ "kid": "secrets/jwt-secret" }),
        json!({ "kid": "x' UNION SELECT '' --" }),
        json!({ "kid": "|cat /etc/passwd" }),
        json!({ "kid": ["a"] }),
        json!({ "kid": { "a": 1 } }),
        json!({ "kid": "k".repeat(4_000) }),
        json!({ "jku": elsewhere, "kid": "1" }),
        json!({ "x5u": elsewhere }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "jwk": { "kty": "oct", "k": "AA" } }),
        json!({ "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQ" } }),
        json!({ "crit": ["exp"], "exp": 0 }),
        json!({ "b64": false, "crit": ["b64"] }),
        json!({ "zip": "DEF" }),
        json!({ "typ": "JWE", "enc": "A128GCM" }),
    ];
    let pem_without_end = pem.trim_end();
    let keys: [&[u8]; 7] =
        [b"", b"\0", b"0", pem.as_bytes(), pem_without_end.as_bytes(), b"secret", device.mac_address.as_bytes()];
    for mut header in headers {
        for algorithm in ["HS256", "RS256"] {
            header["alg"] = algorithm.into();
            for key in keys {
                for claims in &claims {
                    let forger = Operator::new(server.url(), sign(&header, claims, key));
                    forger.get("/api/v1/groups").await.error(401);
                    forger.post("/api/v1/update/check", Value::Object(device.metadata.clone())).await.error(401);
                }
            }
        }
    }
    admin.get("/api/v1/groups").await.ok();
}
