//! Text that many objects share is kept once: namespaces, classes, sizes,
//! labels. Of tens of thousands of claims these are most of the bytes.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Text that many objects may share.
pub type Text = Arc<str>;
pub type Labels = BTreeMap<Text, Text>;

#[derive(Debug, Default)]
pub struct Pool {
    texts: HashSet<Text>,
    lists: HashSet<Arc<[Text]>>,
    labels: HashSet<Arc<Labels>>,
}

impl Pool {
    /// Text that others are likely to have too.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return Text::clone(known);
        }
        let new: Text = text.into();
        self.texts.insert(Text::clone(&new));
        new
    }

    /// The same, where nothing is as good as empty.
    pub fn some(&mut self, text: &str) -> Option<Text> {
        (!text.is_empty()).then(|| self.text(text))
    }

    pub fn list(&mut self, list: Vec<Text>) -> Arc<[Text]> {
        if let Some(known) = self.lists.get(list.as_slice()) {
            return Arc::clone(known);
        }
        let new: Arc<[Text]> = list.into();
        self.lists.insert(Arc::clone(&new));
        new
    }

    pub fn labels(&mut self, labels: Labels) -> Arc<Labels> {
        if let Some(known) = self.labels.get(&labels) {
            return Arc::clone(known);
        }
        let new = Arc::new(labels);
        self.labels.insert(Arc::clone(&new));
        new
    }
}
