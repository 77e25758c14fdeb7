//! Names in two spellings: the published contract has `defaultPageSize` where the original says `default_page_size`, and
//! clients of either read what they expect.

use serde::ser::{Error, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// An object whose members come under the names that it has, and under those that the original gives them.
#[derive(Debug)]
pub struct BothSpellings<T>(pub T);

impl<T: Serialize> Serialize for BothSpellings<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        let Value::Object(members) = value else { return Err(S::Error::custom("not an object")) };
        let mut map = serializer.serialize_map(None)?;
        for (name, member) in &members {
            map.serialize_entry(name, member)?;
            let original = snake_case(name);
            if original != *name {
                map.serialize_entry(&original, member)?;
            }
        }
        map.end()
    }
}

/// As the original's JSON library has it: no break within a run of capitals.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut after_capital = true;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !after_capital {
            out.push('_');
        }
        after_capital = letter.is_ascii_uppercase();
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_the_original_spells_them() {
        for (name, original) in [
            ("defaultPageSize", "default_page_size"),
            ("opikAIEnabled", "opik_aienabled"),
            ("v2WorkspaceAllowlistIds", "v2_workspace_allowlist_ids"),
            ("name", "name"),
        ] {
            assert_eq!(snake_case(name), original);
        }
    }
}
