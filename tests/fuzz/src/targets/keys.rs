//! Keys, signatures and tokens.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use tender::auth::bundle_signature::{BundleSigner, is_signed_by};
use tender::auth::{Keys, PublicKey, Secret, access_token, device_token, download_url};
use tender::domain::{Scopes, Timestamp};

use super::assert_sentence;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SECRET: &str = "secret";
/// What comes between two parts of an input.
const SEPARATOR: u8 = 0xff;

const MESSAGE: &[u8] = b"a message of a device";
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDl6bSRW29cL8PrM1kXrBSoT/Ss
pCRFV7QfbN3LVyeAsMZWASujifIg93QaiYL/ag+ud9+q7Lt1goYFCjeud3uYE5tx
yhjOjkUahrdg3RsaVcxhdh+2Gm5QJ8mi3YVpNNrdO9TTETqMt3J4T7Mcxw2U+wD+
PCTVuamAAa2h3xzh4wIDAQAB
-----END PUBLIC KEY-----
";
/// Of the message, by the private half of the key.
const SIGNATURE: &str = "\
    q2tIe28mVosaNAHn+POrf+eS6Adq4uIjjye99dpxYbySkkEKUXregIW4U+TKv9dtiT4eHfPRCcl+WwlhHCNsw3AP\
    6FQ7cACxiHC6UqKpUYiCfQNIiG4WQBulH2GLsmN6buqzIXuyndOMW6zElP4OjMjpmgZ2BncsK+KI6TQjzak=";

/// The public key of a device: text, or DER that is made text.
pub fn public_key(input: &[u8]) {
    let Some((&form, contents)) = input.split_first() else { return };
    let pem = match form {
        0 => armored("PUBLIC KEY", contents),
        1 => armored("RSA PUBLIC KEY", contents),
        _ => match str::from_utf8(contents) {
            Ok(text) => text.to_owned(),
            Err(_) => return,
        },
    };
    match PublicKey::from_pem(&pem) {
        Ok(key) => {
            let again = PublicKey::from_pem(&format!("\n{pem}\n")).expect("blanks do not matter");
            assert_eq!(key.fingerprint(), again.fingerprint());
            assert!(key.verify(MESSAGE, &[]).is_err() && key.verify(MESSAGE, &[0; 128]).is_err());
        }
        Err(invalid) => assert_sentence(&invalid),
    }
    let _ = BundleSigner::from_pem(&pem).inspect_err(assert_sentence);
}

fn armored(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A signature and a message, as differences from good ones: only no difference is good.
pub fn signature(input: &[u8]) {
    static KEY: LazyLock<PublicKey> = LazyLock::new(|| PublicKey::from_pem(PUBLIC_KEY).expect("it is a key"));
    static SIGNER: LazyLock<BundleSigner> =
        LazyLock::new(|| BundleSigner::from_pem(super::bundle::SIGNER).expect("it is a key"));
    let good = STANDARD.decode(SIGNATURE).expect("it is base64");
    let with = |good: &[u8], differences: &[u8]| -> Vec<u8> {
        let length = good.len().max(differences.len());
        let at = |bytes: &[u8], place: usize| bytes.get(place).copied().unwrap_or(0);
        (0..length).map(|place| at(good, place) ^ at(differences, place)).collect()
    };
    let mut parts = input.splitn(2, |byte| *byte == SEPARATOR);
    let (of_message, of_signature) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (message, given) = (with(MESSAGE, of_message), with(&good, of_signature));
    let is_good = message == MESSAGE && given == good;
    assert_eq!(KEY.verify(&message, &given).is_ok(), is_good);

    let good = SIGNER.sign(MESSAGE);
    let given = with(&good, of_signature);
    let is_good = message == MESSAGE && given == good;
    assert_eq!(is_signed_by(SIGNER.public(), &message, &given), is_good);
}

/// A token or the query of a download's address, whole; or the header and the claims of a token, which is signed rightly here.
pub fn token(input: &[u8]) {
    let keys = Keys::new(&Secret::parse(SECRET).expect("it is not empty"));
    let Some((&form, contents)) = input.split_first() else { return };
    let device_key = hmac_with(SECRET.as_bytes());
    let (hmac, is_device) = match form {
        0 => (device_key, true),
        1 => {
            let derived = device_key.chain_update(b"tender access token").finalize().into_bytes();
            (hmac_with(&derived), false)
        }
        _ => {
            let Ok(text) = str::from_utf8(contents) else { return };
            assert_eq!(device_token::verify(&keys, text, NOW), None);
            assert_eq!(access_token::verify(&keys, text, NOW, NOW), None);
            assert_ne!(download_url::verify(&keys, "/x", text, NOW, NOW), download_url::Verdict::Good);
            return;
        }
    };
    let mut parts = contents.splitn(2, |byte| *byte == SEPARATOR);
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let seal = URL_SAFE_NO_PAD.encode(hmac.chain_update(&signed).finalize().into_bytes());
    let token = format!("{signed}.{seal}");
    let (device, access) = (device_token::verify(&keys, &token, NOW), access_token::verify(&keys, &token, NOW, NOW));
    assert!(device.is_none() || is_device, "a token of another kind");
    assert!(access.is_none() || !is_device, "a token of another kind");
    if device.is_none() && access.is_none() {
        return;
    }

    // What is passed over may be no text: then nothing more can be said here.
    let parsed = (serde_json::from_slice::<Value>(header), serde_json::from_slice::<Value>(claims));
    let (Ok(header), Ok(claims)) = parsed else { return };
    assert_eq!(header["alg"], "HS256");
    let seconds = |name: &str| claims[name].as_i64();
    if let Some(holder) = device {
        assert_eq!(claims["device_id"], holder.mac_address.as_str());
        let created = seconds("created_at").or(seconds("created")).expect("it was taken");
        let age = i128::from(NOW.unix_seconds()) - i128::from(created);
        let lifetime = i128::from(seconds("expires").expect("it was taken"));
        assert!(age >= -60 && age < lifetime, "{age} s old, of {lifetime}");
        assert_eq!(holder.issued.unix_seconds(), created);
        let ours = device_token::issue(&keys, &holder.mac_address, NOW).expect("it can be written");
        let again = device_token::verify(&keys, &ours, NOW).expect("it was just made");
        assert_eq!(again.mac_address, holder.mac_address);
    }
    if let Some(access) = access {
        assert_eq!(
            (&claims["sub"], &claims["jti"]),
            (&Value::from(access.name.clone()), &Value::from(access.id.clone()))
        );
        assert!(access.expires.is_none_or(|expires| NOW < expires));
        assert_eq!(Scopes::parse(&access.scopes.to_string()).as_ref(), Ok(&access.scopes));
        let ours = access.sign(&keys).expect("it can be written");
        assert_eq!(access_token::verify(&keys, &ours, NOW, NOW).as_ref(), Some(&access));
        let later = NOW.saturating_add(Duration::from_secs(u64::MAX));
        assert!(access.expires.is_none() || access_token::verify(&keys, &token, later, later).is_none());
    }
    // Not with another seal.
    let other = format!("{signed}.{}{}", if seal.starts_with('A') { 'B' } else { 'A' }, &seal[1..]);
    assert_eq!(device_token::verify(&keys, &other, NOW), None);
    assert_eq!(access_token::verify(&keys, &other, NOW, NOW), None);
}

fn hmac_with(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}
