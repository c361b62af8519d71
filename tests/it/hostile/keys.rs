//! Public keys that are no keys, or cost too much to compute with.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::assert_still_serves;
use crate::harness::raw::assert_discreet;
use crate::harness::{Device, TestServer};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// A refusal comes before any arithmetic. Debug builds on busy machines are slow, but 16384 bits would take far longer.
const QUICK: Duration = Duration::from_secs(2);

/// One DER value.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match contents.len() {
        short @ 0..=127 => value.push(short as u8),
        long => {
            let bytes = (long as u32).to_be_bytes();
            let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap()..];
            value.push(0x80 | significant.len() as u8);
            value.extend_from_slice(significant);
        }
    }
    value.extend_from_slice(contents);
    value
}

/// A positive INTEGER.
fn integer(big_endian: &[u8]) -> Vec<u8> {
    let needs_zero = big_endian.first().is_none_or(|first| first & 0x80 != 0);
    der(0x02, &[if needs_zero { &[0][..] } else { &[] }, big_endian].concat())
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    der(0x30, &[modulus, exponent].concat())
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let algorithm = der(0x30, &[der(0x06, algorithm), der(0x05, &[])].concat());
    let key = der(0x03, &[&[0], key].concat());
    der(0x30, &[algorithm, key].concat())
}

fn pem(label: &str, contents: &[u8]) -> String {
    let text = STANDARD.encode(contents);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// An odd number of so many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xb5; bits / 8];
    *bytes.last_mut().unwrap() |= 1;
    bytes
}

const F4: &[u8] = &[1, 0, 1];

/// Sends a key with a signature as long as the key's own would be; the answer's status and how long it took.
async fn offer(device: &Device, public_key: &str, signature_bytes: usize) -> (u16, Duration) {
    let body = json!({ "metadata": device.metadata, "public_key": public_key, "timestamp": 1_694_414_456 });
    let signature = STANDARD.encode(vec![0x5a; signature_bytes]);
    let asked = Instant::now();
    let reply = device.send_authorization(serde_json::to_vec(&body).unwrap(), &signature).await;
    assert_discreet(&reply);
    if reply.status == 400 {
        reply.error(400);
    }
    (reply.status, asked.elapsed())
}

#[tokio::test]
async fn bad_keys_are_refused_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.device("00:11:22:33:44:55");
    let mut even_modulus = modulus(2048);
    *even_modulus.last_mut().unwrap() &= 0xfe;
    let both_ways = |modulus: &[u8], exponent: &[u8]| {
        let key = rsa_key(&integer(modulus), &integer(exponent));
        [pem("PUBLIC KEY", &spki(RSA, &key)), pem("RSA PUBLIC KEY", &key)]
    };
    let mut keys = Vec::new();
    for bits in [8, 512, 1016, 8200, 16384] {
        keys.extend(both_ways(&modulus(bits), F4));
    }
    for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[0xff; 200], &modulus(2048)] {
        keys.extend(both_ways(&modulus(2048), exponent));
    }
    keys.extend(both_ways(&[0], F4));
    keys.extend(both_ways(&[1], F4));
    keys.extend(both_ways(&[0; 256], F4));
    keys.extend(both_ways(&even_modulus, F4));
    let negative = rsa_key(&der(0x02, &modulus(2048)), &integer(F4));
    keys.extend([pem("PUBLIC KEY", &spki(RSA, &negative)), pem("RSA PUBLIC KEY", &negative)]);

    let good = rsa_key(&integer(&modulus(2048)), &integer(F4));
    for algorithm in [DSA, ELLIPTIC_CURVE, RSA_PSS] {
        keys.push(pem("PUBLIC KEY", &spki(algorithm, &good)));
    }
    let good = spki(RSA, &good);
    for label in ["PRIVATE KEY", "CERTIFICATE", "RSA PRIVATE KEY", "EC PUBLIC KEY", "", "PUBLIC  KEY"] {
        keys.push(pem(label, &good));
    }
    for length in [0, 1, 2, 10, 30, good.len() - 1] {
        keys.push(pem("PUBLIC KEY", &good[..length]));
    }
    keys.push(pem("PUBLIC KEY", &[&good[..], b"more"].concat()));
    keys.push(pem("PUBLIC KEY", &[0x30; 300]));
    keys.push(pem("PUBLIC KEY", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]));
    keys.push(pem("PUBLIC KEY", &[0x30, 0x80].repeat(200)));
    let text = pem("PUBLIC KEY", &good);
    keys.extend([
        String::new(),
        " ".to_owned(),
        "\0".to_owned(),
        "no key".to_owned(),
        "-----BEGIN PUBLIC KEY-----".to_owned(),
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----".to_owned(),
        text.replace("END PUBLIC", "END PRIVATE"),
        text.replace('A', "!"),
        text.replacen('\n', "\n\0", 1),
        text.repeat(2),
        text.repeat(100),
        "A".repeat(60 * 1024),
        "-".repeat(60 * 1024),
        format!("-----BEGIN PUBLIC KEY-----\n{}", "\n".repeat(10 * 1024)),
    ]);
    for key in keys {
        let (status, took) = offer(&device, &key, 256).await;
        assert_eq!(status, 400, "{key:.300}");
        assert!(took < QUICK, "{took:?} for {key:.300}");
    }
    assert_eq!(server.rows("registrations"), 0);

    // Longer than any report: the body is not even read as JSON.
    let (status, took) = offer(&device, &"A".repeat(1024 * 1024), 256).await;
    assert_eq!(status, 413);
    assert!(took < QUICK, "{took:?}");
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn bad_signatures_are_refused_and_keep_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.device("00:11:22:33:44:55");
    let message = serde_json::to_vec(&device.authorization_body()).unwrap();
    let good = STANDARD.decode(device.sign(&message)).unwrap();
    let mut flipped = good.clone();
    flipped[64] ^= 1;
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let signatures = [
        String::new(),
        "=".to_owned(),
        "not base64".to_owned(),
        encoded(&[]),
        encoded(&[0]),
        encoded(&[0; 128]),
        encoded(&[0xff; 128]),
        encoded(&flipped),
        encoded(&good[1..]),
        encoded(&[&[0], &good[..]].concat()),
        encoded(&[&good[..], &good[..]].concat()),
        encoded(&[0; 40 * 1024]),
        device.sign(b"something else"),
    ];
    for signature in signatures {
        let asked = Instant::now();
        let reply = device.send_authorization(message.clone(), &signature).await;
        reply.error(400);
        assert_discreet(&reply);
        assert!(asked.elapsed() < QUICK, "{signature:.300}");
    }
    assert_eq!(server.rows("registrations"), 0);
    assert_eq!(device.send_authorization(message, &encoded(&good)).await.status, 401);
    assert_eq!(server.rows("registrations"), 1);
    assert_still_serves(&server, &admin).await;
}
