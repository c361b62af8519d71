//! Searching for devices, in every spelling and with hostile words.

use serde_json::json;

use super::{Row, ids, page, server_with};

#[tokio::test]
async fn devices_are_found_by_name_address_and_what_they_report() {
    let rows = [
        Row {
            name: "Pump north",
            reports: json!({ "site.name": "Küche 2", "tags": ["red", "old"] }),
            ..Row::of("00:1A:2b:3c:4d:5e")
        },
        Row { name: "Pump south", reports: json!({ "site": "100%_sure" }), ..Row::of("00-1a-2b-3c-4d-5f") },
        Row {
            name: "O'Brien \"x\"",
            reports: json!({ "path": "C:\\temp", "note": "a\nb" }),
            ..Row::of("001a2b3c4d60")
        },
        Row { name: "plain", ..Row::of("loopback") },
    ];
    let (_server, admin) = server_with(&rows).await;
    let cases: [(&str, &[i64]); 36] = [
        ("", &[1, 2, 3, 4]),
        ("  ", &[1, 2, 3, 4]),
        ("pump", &[1, 2]),
        ("PUMP  North", &[1]),
        ("north pump", &[1]),
        ("pump plain", &[]),
        ("00:1a:2b:3c:4d:5e", &[1]),
        ("00-1A-2B-3C-4D-5E", &[1]),
        ("001a2b3c4d5e", &[1]),
        ("00:1a:2b", &[1, 2, 3]),
        ("4d-6", &[3]),
        ("3c4d", &[1, 2, 3]),
        // Digits of two bytes, but not such a byte and the beginning of the next.
        ("a2b3", &[1, 2, 3]),
        ("a2:b3", &[]),
        ("loop", &[4]),
        ("küche", &[1]),
        ("KÜCHE", &[1]),
        ("site.name", &[1]),
        ("site", &[1, 2]),
        ("red", &[1]),
        ("old red", &[1]),
        ("%", &[2]),
        ("_", &[2]),
        ("100%_sure", &[2]),
        ("%sure", &[]),
        ("'", &[3]),
        ("O'Brien", &[3]),
        ("\"", &[3]),
        ("\\", &[3]),
        ("c:\\temp", &[3]),
        ("'; DROP TABLE devices; --", &[]),
        ("{", &[]),
        ("\":\"", &[]),
        ("[", &[]),
        ("\u{0}", &[]),
        ("*", &[]),
    ];
    for (search, expected) in cases {
        let page = page(&admin, &[("search", search)]).await;
        assert_eq!((ids(&page).as_slice(), &page["total"]), (expected, &json!(expected.len())), "{search:?}");
    }
    // As long as it may be, and in every order.
    let long = format!("pump {}", "x".repeat(190));
    assert!(ids(&page(&admin, &[("search", &long)]).await).is_empty());
    for (sort, expected) in [("name", [1, 2]), ("-name", [2, 1]), ("-id", [2, 1]), ("version", [1, 2])] {
        assert_eq!(ids(&page(&admin, &[("search", "pump"), ("sort", sort)]).await), expected, "{sort}");
    }
}
