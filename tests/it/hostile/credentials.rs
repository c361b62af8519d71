//! Tokens that nobody issued.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};
use tender::auth::Secret;

use super::assert_still_serves;
use crate::harness::raw::{Raw, list_groups};
use crate::harness::{START, TestServer};

const SECRET: &str = "a secret that these forgers know";

/// Makes a token with this header and these claims, and a proper signature of the named hash, if any.
fn forge(header: &Value, claims: &Value, hash: &str) -> String {
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    macro_rules! sign {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(SECRET.as_bytes()).unwrap();
            mac.update(signed.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }};
    }
    let signature = match hash {
        "SHA-256" => sign!(Sha256),
        "SHA-384" => sign!(Sha384),
        "SHA-512" => sign!(Sha512),
        _ => Vec::new(),
    };
    format!("{signed}.{}", BASE64.encode(signature))
}

/// What the update check says to a device with this token.
async fn check_with(server: &TestServer, token: &str) -> u16 {
    let body = json!({
        "rdfm.software.version": "v0",
        "rdfm.hardware.devtype": "dummy",
        "rdfm.hardware.macaddr": "00:11:22:33:44:55",
    })
    .to_string();
    let mut client = Raw::connect(server).await;
    client.send(crate::harness::raw::json_head("POST /api/v1/update/check", token, body.len())).await;
    client.send(body).await;
    client.reply().await.expect("an answer").status
}

async fn list_with(server: &TestServer, token: &str) -> u16 {
    let mut client = Raw::connect(server).await;
    client.send(list_groups(token)).await;
    client.reply().await.expect("an answer").status
}

#[tokio::test]
async fn only_hs256_counts_even_where_the_forger_knows_the_secret() {
    let server = TestServer::start_with(|config| config.storage.secret = Some(Secret::parse(SECRET).unwrap())).await;
    let _device = server.accepted_device("00:11:22:33:44:55").await;
    let claims = json!({ "device_id": "00:11:22:33:44:55", "created_at": START.as_secs(), "expires": 300 });
    let good = forge(&json!({ "alg": "HS256", "typ": "JWT" }), &claims, "SHA-256");
    assert_eq!(check_with(&server, &good).await, 204, "the forger's craft itself works");

    for (algorithm, hash) in [
        ("none", ""),
        ("none", "SHA-256"),
        ("None", ""),
        ("NONE", ""),
        ("nOnE", "SHA-256"),
        ("", "SHA-256"),
        ("HS256", ""),
        ("HS256", "SHA-512"),
        ("HS384", "SHA-384"),
        ("HS512", "SHA-512"),
        ("HS512", "SHA-256"),
        ("RS256", "SHA-256"),
        ("ES256", "SHA-256"),
        ("PS256", "SHA-256"),
        ("hs256", "SHA-256"),
        ("HS256 ", "SHA-256"),
    ] {
        let forged = forge(&json!({ "alg": algorithm, "typ": "JWT" }), &claims, hash);
        assert_eq!(check_with(&server, &forged).await, 401, "{algorithm} with {hash}");
        assert_eq!(list_with(&server, &forged).await, 401, "{algorithm} with {hash}");
    }
    for header in [json!({}), json!({ "alg": null }), json!({ "alg": ["HS256"] }), json!([]), json!("HS256")] {
        assert_eq!(check_with(&server, &forge(&header, &claims, "SHA-256")).await, 401, "{header}");
    }
}

#[tokio::test]
async fn claims_that_make_no_sense_let_nobody_in() {
    let server = TestServer::start_with(|config| config.storage.secret = Some(Secret::parse(SECRET).unwrap())).await;
    let _device = server.accepted_device("00:11:22:33:44:55").await;
    let (mac, now) = ("00:11:22:33:44:55", START.as_secs());
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    for claims in [
        json!({ "device_id": mac, "created_at": now, "expires": -1 }),
        json!({ "device_id": mac, "created_at": now, "expires": 1e300 }),
        json!({ "device_id": mac, "created_at": i64::MIN, "expires": i64::MAX }),
        json!({ "device_id": mac, "created_at": now - 300, "expires": 300 }),
        json!({ "device_id": mac, "created_at": now.to_string(), "expires": 300 }),
        json!({ "device_id": mac, "created_at": now }),
        json!({ "device_id": mac, "expires": 300 }),
        json!({ "device_id": null, "created_at": now, "expires": 300 }),
        json!({ "device_id": "", "created_at": now, "expires": 300 }),
        json!({ "device_id": "x".repeat(1000), "created_at": now, "expires": 300 }),
        json!({ "sub": "admin", "scope": "rdfm_admin_rw", "iat": now, "jti": "1" }),
        json!([]),
        json!("claims"),
        json!(null),
    ] {
        let forged = forge(&header, &claims, "SHA-256");
        assert_eq!(check_with(&server, &forged).await, 401, "{claims}");
        assert_eq!(list_with(&server, &forged).await, 401, "{claims}");
    }
}

#[tokio::test]
async fn a_management_token_that_was_changed_in_any_place_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let token = &admin.token;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts: {token}") };
    let altered = |text: &str| {
        let json = String::from_utf8(BASE64.decode(text).unwrap()).unwrap();
        BASE64.encode(json.replace("rdfm_admin_rw", "rdfm_admin_ro").replace("HS256", "none"))
    };
    let mut refused = vec![
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{claims}.{header}.{signature}"),
        format!("{header}.{}.{signature}", altered(claims)),
        format!("{}.{claims}.{signature}", altered(header)),
        format!("{}.{claims}.", altered(header)),
        format!("{header}.{claims}.{}", "A".repeat(43)),
        format!("{header}.{claims}.{}", BASE64.encode([0; 32])),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "%00".to_owned(),
        "null".to_owned(),
        // Long, but still a head that is read.
        "A".repeat(60 * 1024),
        format!("{header}.{}.{signature}", "A".repeat(60 * 1024)),
        ".".repeat(60 * 1024),
    ];
    refused.extend((1..token.len()).step_by(7).map(|length| token[..length].to_owned()));
    for forged in refused {
        assert_eq!(list_with(&server, &forged).await, 401, "{forged:.200}");
    }
    // Nobody is let in for being confusing about which token counts.
    for value in
        ["Bearer", "Bearer ", "Bearer token=", "Bearer token=\"\"", "Basic YTpi", "Bearer token=a, token=b", "\u{e9}"]
    {
        let mut client = Raw::connect(&server).await;
        client.send(format!("GET /api/v1/groups HTTP/1.1\r\nHost: here\r\nAuthorization: {value}\r\n\r\n")).await;
        assert_eq!(client.reply().await.unwrap().status, 401, "{value}");
    }
    assert_still_serves(&server, &admin).await;
}
