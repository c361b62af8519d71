//! What an identity provider says of a token (RFC 7662, section 2.2): the bytes of its answer in, a verdict out.

use serde_json::{Map, Value};

use crate::domain::{Scope, Scopes, Timestamp};

/// Where names come from, the best first: RFC 7662's, that of Keycloak's access tokens, and what machines have.
const NAME_MEMBERS: [&str; 4] = ["username", "preferred_username", "client_id", "sub"];
const NAMELESS: &str = "unknown";
const LONGEST_NAME: usize = 64;

/// Whom a token was made for by the identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// A name to show and to log: without control characters, 1 to 64 characters.
    pub name: String,
    /// What the holder may do here.
    pub scopes: Scopes,
}

/// The verdict of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// The token is good.
    Active {
        /// Whose it is.
        holder: Holder,
        /// When it ends (`exp`); `None` if the answer has no number there.
        expires: Option<Timestamp>,
    },
    /// The provider does not know the token, or it has ended.
    Inactive,
    /// The token is good, but the answer tells no scopes: it was not made for tender.
    WithoutScope,
    /// The answer is none: why, to be put after "its answer".
    Unusable(&'static str),
}

/// Reads the body of an answer with status 200. Scopes are those of `scope` and of Keycloak's `realm_access.roles`; names
/// that tender does not know grant nothing. It does not look at the time.
pub fn read(answer: &[u8]) -> Introspection {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return Introspection::Unusable("is not JSON") };
    let Value::Object(members) = answer else { return Introspection::Unusable("is not a JSON object") };
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Introspection::Inactive,
        _ => return Introspection::Unusable("does not say whether the token is active"),
    }
    let scope = match members.get("scope") {
        Some(Value::String(scope)) => scope,
        None | Some(Value::Null) => return Introspection::WithoutScope,
        Some(_) => return Introspection::Unusable("has a scope that is not a string"),
    };
    let names = scope.split_ascii_whitespace().chain(realm_roles(&members));
    let scopes = names.filter_map(|name| name.parse::<Scope>().ok()).collect();
    Introspection::Active { holder: Holder { name: name(&members), scopes }, expires: expiry(&members) }
}

/// Names in `realm_access.roles`, a string like that of `scope` or a list of names; none if it is something else.
fn realm_roles(members: &Map<String, Value>) -> Vec<&str> {
    match members.get("realm_access").and_then(|access| access.get("roles")) {
        Some(Value::String(roles)) => roles.split_ascii_whitespace().collect(),
        Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn name(members: &Map<String, Value>) -> String {
    let candidates = NAME_MEMBERS.iter().filter_map(|member| members.get(*member)?.as_str());
    candidates.map(printable).find(|name| !name.is_empty()).unwrap_or_else(|| NAMELESS.to_owned())
}

fn printable(text: &str) -> String {
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    text.trim().chars().take(LONGEST_NAME).collect()
}

/// `exp` in whole seconds; it may have a fraction (RFC 7519, section 2, NumericDate).
fn expiry(members: &Map<String, Value>) -> Option<Timestamp> {
    let exp = members.get("exp")?;
    // What is too large for an i64 becomes the largest, and is as far away.
    let seconds = exp.as_i64().or_else(|| exp.as_f64().map(|seconds| seconds.floor() as i64))?;
    Some(Timestamp::from_unix_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read_json(answer: &Value) -> Introspection {
        read(answer.to_string().as_bytes())
    }

    fn holder(answer: &Value) -> Holder {
        match read_json(answer) {
            Introspection::Active { holder, .. } => holder,
            other => panic!("{answer}: {other:?}"),
        }
    }

    #[test]
    fn scopes_come_from_two_places() {
        let scopes = |answer: Value| holder(&answer).scopes.to_string();
        assert_eq!(scopes(json!({"active": true, "scope": "openid rdfm_admin_ro email"})), "rdfm_admin_ro");
        assert_eq!(scopes(json!({"active": true, "scope": ""})), "");
        let with_roles =
            |roles: Value| scopes(json!({"active": true, "scope": "rdfm_admin_ro", "realm_access": {"roles": roles}}));
        assert_eq!(with_roles(json!("rdfm_admin_rw")), "rdfm_admin_ro rdfm_admin_rw");
        assert_eq!(with_roles(json!("offline_access rdfm_create_group")), "rdfm_admin_ro rdfm_create_group");
        assert_eq!(
            with_roles(json!(["default-roles", "rdfm_upload_single_file"])),
            "rdfm_admin_ro rdfm_upload_single_file"
        );
        for nothing in [json!(null), json!([]), json!([1, null, ["rdfm_admin_rw"]]), json!({"rdfm_admin_rw": true})] {
            assert_eq!(with_roles(nothing.clone()), "rdfm_admin_ro", "{nothing}");
        }
        assert_eq!(with_roles(json!(["x rdfm_admin_rw"])), "rdfm_admin_ro", "a list has one name in each place");
        for access in [json!(null), json!([]), json!("roles")] {
            assert_eq!(scopes(json!({"active": true, "scope": "", "realm_access": access})), "");
        }
    }

    #[test]
    fn tokens_that_are_not_good_are_told_from_answers_that_are_none() {
        assert_eq!(read_json(&json!({"active": false})), Introspection::Inactive);
        assert_eq!(read_json(&json!({"active": false, "scope": "rdfm_admin_rw"})), Introspection::Inactive);
        let roles = json!({"active": true, "realm_access": {"roles": ["rdfm_admin_rw"]}});
        assert_eq!(read_json(&roles), Introspection::WithoutScope);
        assert_eq!(read_json(&json!({"active": true, "scope": null})), Introspection::WithoutScope);
        for answer in
            ["", "<html>", "[]", "true", "{}", "{\"active\": \"true\"}", "{\"active\": 1}", "{\"active\": true"]
        {
            assert!(matches!(read(answer.as_bytes()), Introspection::Unusable(_)), "{answer}");
        }
        assert!(matches!(read_json(&json!({"active": true, "scope": ["rdfm_admin_rw"]})), Introspection::Unusable(_)));
    }

    #[test]
    fn the_name_is_the_first_that_can_be_shown() {
        let named = |members: Value| {
            let mut answer = json!({"active": true, "scope": ""});
            answer.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            holder(&answer).name
        };
        let all = json!({"sub": "s", "client_id": "c", "preferred_username": "p", "username": "u"});
        assert_eq!(named(all), "u");
        assert_eq!(named(json!({"sub": "s", "client_id": "c", "preferred_username": "p"})), "p");
        assert_eq!(named(json!({"sub": "s", "client_id": "c"})), "c");
        assert_eq!(named(json!({"sub": "s"})), "s");
        assert_eq!(named(json!({})), "unknown");
        assert_eq!(named(json!({"username": " \n", "preferred_username": 7, "sub": "s"})), "s");
        assert_eq!(named(json!({"username": "a\u{1b}[2Jb\r\nc\u{85}"})), "a[2Jbc");
        assert_eq!(named(json!({"username": "ä".repeat(65)})), "ä".repeat(64));
    }

    #[test]
    fn the_end_is_a_number_of_seconds() {
        let expires = |exp: Value| match read_json(&json!({"active": true, "scope": "", "exp": exp})) {
            Introspection::Active { expires, .. } => expires.map(Timestamp::unix_seconds),
            other => panic!("{other:?}"),
        };
        assert_eq!(expires(json!(1_800_000_000)), Some(1_800_000_000));
        assert_eq!(expires(json!(1_800_000_000.9)), Some(1_800_000_000));
        assert_eq!(expires(json!(-1)), Some(-1));
        assert_eq!(expires(json!(u64::MAX)), Some(i64::MAX));
        assert_eq!(expires(json!("1800000000")), None);
        assert_eq!(expires(json!(null)), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("rdfm_admin_rw \u{7} x")),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let member = prop_oneof![
                Just("roles".to_owned()),
                Just("active".to_owned()),
                Just("scope".to_owned()),
                any::<String>()
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((member, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let verdict = read(&bytes);
            prop_assert!(matches!(verdict, Introspection::Unusable(_)), "{:?}", verdict);
        }

        #[test]
        fn no_json_is_too_strange(
            members in prop::collection::vec(any_json(), 8),
            is_active in prop::option::of(any::<bool>()),
        ) {
            let names = ["active", "scope", "exp", "realm_access", "username", "preferred_username", "client_id", "sub"];
            let mut answer: Map<_, _> = names.into_iter().map(str::to_owned).zip(members).collect();
            if let Some(is_active) = is_active {
                answer.insert("active".to_owned(), is_active.into());
            }
            let has_scope = answer["scope"].is_string();
            let verdict = read_json(&Value::Object(answer));
            match &verdict {
                Introspection::Active { holder, .. } => {
                    prop_assert!(is_active != Some(false) && has_scope);
                    prop_assert!((1..=LONGEST_NAME).contains(&holder.name.chars().count()));
                    prop_assert!(!holder.name.chars().any(char::is_control));
                }
                _ => prop_assert!(is_active != Some(true) || !has_scope, "{:?}", verdict),
            }
        }
    }
}
