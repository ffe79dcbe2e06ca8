//! References to container images, as registries and runtimes read them. Pure.

/// Why this is not `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
pub fn fault(image: &str) -> Option<&'static str> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("the part after @ is not a digest");
    }
    let last_part = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match rest[last_part..].rfind(':') {
        Some(colon) => (&rest[..last_part + colon], Some(&rest[last_part + colon + 1..])),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("the part after : is not a tag");
    }
    let is_host = |part: &str| {
        part == "localhost"
            || part.contains(['.', ':'])
            || part.contains(|c: char| c.is_ascii_uppercase())
    };
    let path = match path.split_once('/') {
        Some((host, path)) if is_host(host) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
            if !host.chars().all(fits) {
                return Some("the part before the first / is not a host");
            }
            path
        }
        _ => path,
    };
    if path.split('/').all(is_path_part) { None } else { Some("that is not an image name") }
}

/// Lower-case letters and digits, with single separators between them.
fn is_path_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(alphanumeric).filter(|separator| !separator.is_empty());
    part.starts_with(alphanumeric)
        && part.ends_with(alphanumeric)
        && separators.into_iter().all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let letters = |c: char| c.is_ascii_alphanumeric() || "+._-".contains(c);
        algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
            && algorithm.chars().all(letters)
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn references_are_told_from_typos() {
        let hex = "a".repeat(64);
        for good in [
            "nginx",
            "nginx:1.22",
            "library/nginx",
            "r.example.com:5000/a/b-c_d:v1",
            "localhost/x",
            "[::1]:5000/x:1",
            "a__b:_x",
            "a---b",
            &format!("nginx@sha256:{hex}"),
            &format!("r.io/nginx:1@sha256:{hex}"),
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            "",
            "Nginx",
            "nginx:",
            "nginx:1 ",
            " nginx",
            "nginx:1:2",
            "a//b",
            "a/",
            "/a",
            "a..b",
            "nginx@sha256:12",
            "nginx@",
            "-a",
            "a:-b",
            "ho st.x/a",
            "a___b",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
