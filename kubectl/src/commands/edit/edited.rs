//! What an edited file says.

use ferrule_apimachinery::yaml;
use ferrule_proto::v1::ApiResource;
use serde_json::Value;

use crate::files;
use crate::output::objects;
use crate::resources::Resources;

/// How errors name what was edited.
const SOURCE: &str = "edited-file";

/// An object of the file, and its resource.
pub type Object = (Value, ApiResource);

/// A text without its comments, as far as they stand alone on their lines.
pub fn bare(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// A text without the comments that it begins with.
pub fn without_head(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.starts_with('#'));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// What a text says, whatever its comments, blanks and the order of its fields.
pub fn meaning(text: &str) -> String {
    let text = bare(text);
    match yaml::read(&text) {
        Ok(documents) => documents.iter().map(objects::compact).collect(),
        Err(_) => text.trim().to_owned(),
    }
}

/// Why a text holds no objects that could be sent; `None` when it does.
pub fn fault(text: &str) -> Option<String> {
    let documents = match yaml::read(&bare(text)) {
        Ok(documents) => documents,
        Err(error) => return Some(files::yaml_fault(&error)),
    };
    let Some(Value::Object(map)) = documents.first() else {
        return Some("invalid object to validate".to_owned());
    };
    let missing: Vec<String> = ["apiVersion", "kind"]
        .iter()
        .filter(|field| map.get(**field).and_then(Value::as_str).is_none())
        .map(|field| format!("{field} not set"))
        .collect();
    match missing.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

/// The objects of an edited file; lists are taken apart.
pub fn read(text: &str, resources: &Resources) -> Result<Vec<Object>, String> {
    documents(text)?
        .into_iter()
        .map(|object| {
            let resource = resource_of(&object, resources)?;
            Ok((object, resource))
        })
        .collect()
}

fn documents(text: &str) -> Result<Vec<Value>, String> {
    let documents = yaml::read(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for mut document in documents {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if document["kind"] == "List" => found.extend(items),
            Some(other) => {
                document["items"] = other;
                found.push(document);
            }
            None if document.is_object() => found.push(document),
            None if document.is_null() => {}
            None => return Err("the file holds no object".to_owned()),
        }
    }
    Ok(found)
}

fn resource_of(object: &Value, resources: &Resources) -> Result<ApiResource, String> {
    files::check_metadata(object, SOURCE)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let metadata = &object["metadata"];
    resources
        .of_kind(&api_version, &kind)
        .cloned()
        .ok_or_else(|| {
            format!(
                "resource mapping not found for name: {:?} namespace: {:?} from {SOURCE:?}: no matches for kind {kind:?} in \
                 version {api_version:?}\nensure CRDs are installed first",
                text(&metadata["name"]),
                text(&metadata["namespace"])
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_of_the_head_go_and_those_in_texts_stay() {
        let text = "# head\n#\na: |\n  # text\nb: c\n";
        assert_eq!(without_head(text), "a: |\n  # text\nb: c\n");
        assert_eq!(bare(text), "a: |\nb: c\n");
    }

    #[test]
    fn blanks_and_order_have_no_meaning() {
        assert_eq!(
            meaning("a: b\nc: {d: 1}\n"),
            meaning("# x\nc:\n  d:   1\n\na: b\n")
        );
        assert_ne!(meaning("a: b\n"), meaning("a: c\n"));
    }

    #[test]
    fn a_file_without_an_object_is_faulty() {
        for (text, expected) in [
            ("", Some("invalid object to validate")),
            ("hello\n", Some("invalid object to validate")),
            ("a: b\n", Some("[apiVersion not set, kind not set]")),
            ("apiVersion: v1\n", Some("kind not set")),
            ("apiVersion: v1\nkind: ConfigMap\n", None),
        ] {
            assert_eq!(fault(text).as_deref(), expected, "{text:?}");
        }
        let broken = fault("# x\napiVersion: v1\na: b: c\n").unwrap();
        assert!(broken.starts_with("yaml: line 2: "), "{broken}");
    }

    #[test]
    fn a_saved_list_is_taken_apart() {
        let list = "kind: List\nitems:\n- {kind: A}\n- {kind: B}\n";
        assert_eq!(
            documents(list).unwrap(),
            [json!({"kind": "A"}), json!({"kind": "B"})]
        );
        assert_eq!(documents("# nothing\n").unwrap(), Vec::<Value>::new());
        assert!(documents("a: [").is_err());
    }

    #[test]
    fn an_unknown_kind_is_told_as_upstream_does() {
        let text = "apiVersion: v2\nkind: ConfigMap\nmetadata: {name: one}\n";
        assert_eq!(
            read(text, &Resources::new(Vec::new())).unwrap_err(),
            "resource mapping not found for name: \"one\" namespace: \"\" from \"edited-file\": no matches for kind \
             \"ConfigMap\" in version \"v2\"\nensure CRDs are installed first"
        );
    }
}
