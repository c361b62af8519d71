//! Small values that are written as text.

use tender::auth::checksum::Checksum;
use tender::config::HttpUrl;
use tender::domain::bundle::{SignerKey, SignerName};
use tender::domain::{
    BackupName, ByteSize, ClientName, DeviceName, GroupMetadata, Hours, LocalHours, MacAddress, Policy, Scopes, Search,
    Searched, Sha256Digest, Timestamp, UserName,
};

use super::assert_sentence;

/// The policy of a group.
pub fn policy(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match text.parse::<Policy>() {
        Ok(policy) => {
            assert_eq!(policy.to_string().parse().as_ref(), Ok(&policy));
            match policy.target() {
                Some(target) => assert_eq!(format!("exact_match,{target}"), text),
                None => assert!(text.starts_with("no_update,")),
            }
        }
        Err(invalid) => assert_sentence(&invalid),
    }
}

/// All other values that are one text; which one, the first byte says.
pub fn values(input: &[u8]) {
    let Some((&form, Ok(text))) = input.split_first().map(|(form, text)| (form, str::from_utf8(text))) else { return };
    match form {
        0 => {
            if let Ok(size) = text.parse::<ByteSize>().inspect_err(assert_sentence) {
                assert_eq!(size.bytes().to_string().parse(), Ok(size));
            }
        }
        1 => {
            if let Ok(hours) = text.parse::<Hours>().inspect_err(assert_sentence) {
                assert_eq!(hours.to_string().parse().as_ref(), Ok(&hours));
                let hours = LocalHours::by_name(hours, "Europe/Berlin").expect("there is such a zone");
                let now = Timestamp::from_unix_seconds(1_800_000_000);
                if let Some(change) = hours.next_change(now) {
                    assert!(now < change && hours.contains(now) != hours.contains(change));
                }
            }
        }
        2 => {
            if let Ok(address) = MacAddress::parse(text).inspect_err(assert_sentence) {
                let key = address.key();
                let again = MacAddress::parse(key.as_str()).expect("a key is an address");
                assert_eq!((address.as_str(), again.key()), (text, key));
            }
        }
        3 => {
            if let Ok(name) = DeviceName::parse(text).inspect_err(assert_sentence) {
                assert_eq!(DeviceName::parse(name.as_str()).as_ref(), Ok(&name));
            }
        }
        4 => {
            let mac = MacAddress::parse("00:11:22:33:44:55").expect("it is an address").key();
            if let Ok(Some(search)) = Search::parse(text).inspect_err(assert_sentence) {
                let json = serde_json::to_string(&[("k", text)]).expect("it is JSON");
                let whole = Searched { name: text, mac_address: "", mac_key: mac.as_str(), metadata: "{}" };
                assert!(search.finds(whole), "each word of a text is in it");
                let _ = search.finds(Searched { name: "", mac_address: "", mac_key: mac.as_str(), metadata: &json });
            }
        }
        5 => {
            if let Ok(scopes) = Scopes::parse(text).inspect_err(assert_sentence) {
                assert_eq!(Scopes::parse(&scopes.to_string()).as_ref(), Ok(&scopes));
                assert_eq!(Scopes::from_claim(text), scopes);
            }
        }
        6 => {
            if let Ok(digest) = text.parse::<Sha256Digest>().inspect_err(assert_sentence) {
                assert_eq!(digest.to_string(), text.to_ascii_lowercase());
            }
        }
        7 => {
            if let Ok(name) = text.parse::<UserName>().inspect_err(assert_sentence) {
                assert_eq!(name.as_str().parse().as_ref(), Ok(&name));
            }
            if let Ok(name) = text.parse::<ClientName>().inspect_err(assert_sentence) {
                assert_eq!(name.as_str().parse().as_ref(), Ok(&name));
            }
            if let Ok(name) = text.parse::<SignerName>().inspect_err(assert_sentence) {
                assert_eq!(name.as_str().parse().as_ref(), Ok(&name));
            }
        }
        8 => {
            if let Ok(key) = text.parse::<SignerKey>().inspect_err(assert_sentence) {
                assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
        9 => {
            let _ = text.parse::<Checksum>().inspect_err(assert_sentence);
        }
        10 => {
            if let Some(date) = Timestamp::parse_utc(text) {
                assert_eq!(Timestamp::parse_utc(&date.rfc3339()), Some(date));
            }
        }
        11 => {
            if let Ok(metadata) = GroupMetadata::parse(text).inspect_err(assert_sentence) {
                assert_eq!(metadata.as_str(), text.trim());
            }
        }
        12 => {
            let installation = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
            if let Some(name) = BackupName::parse(text, installation) {
                assert_eq!(name.to_string(), text);
                assert!(!text.contains('/'));
            }
        }
        13 => {
            if let Some(url) = HttpUrl::parse(text) {
                assert_eq!(HttpUrl::parse(url.as_str()).as_ref(), Some(&url));
                assert!(!url.host().is_empty() && !url.to_string().contains('?'));
            }
        }
        _ => {}
    }
}
