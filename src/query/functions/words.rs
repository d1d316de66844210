//! What texts say, in SQL: coats over [`crate::text`] and [`crate::privacy`].

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use arrow::array::{ArrayRef, AsArray, Float64Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::event::Speaker;
use crate::privacy;
use crate::text::{Reader, Reading, Scratch};

/// `sentiment`, `keywords` and `mask`.
pub(super) fn all(reader: Option<Arc<ArcSwap<Reader>>>) -> Vec<ScalarUDF> {
    let source = Arc::new(Source { reader, shipped: OnceLock::new() });
    [("sentiment", Of::Sentiment), ("keywords", Of::Keywords), ("mask", Of::Mask)]
        .map(|(name, of)| ScalarUDF::from(Words::new(name, of, Arc::clone(&source))))
        .into()
}

/// Where the reader comes from: the service's, else the shipped lists, read when they are first asked for.
#[derive(Debug)]
struct Source {
    reader: Option<Arc<ArcSwap<Reader>>>,
    shipped: OnceLock<Arc<Reader>>,
}

impl Source {
    fn reader(&self) -> Arc<Reader> {
        match &self.reader {
            Some(reader) => reader.load_full(),
            None => Arc::clone(self.shipped.get_or_init(|| {
                Arc::new(Reader::shipped().expect("a test holds the shipped lists to be right"))
            })),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Sentiment,
    Keywords,
    Mask,
}

#[derive(Debug)]
struct Words {
    name: &'static str,
    of: Of,
    source: Arc<Source>,
    signature: Signature,
}

impl Words {
    fn new(name: &'static str, of: Of, source: Arc<Source>) -> Self {
        // Lexicons may change between two queries, not within one.
        let volatility = if matches!(of, Of::Mask) { Volatility::Immutable } else { Volatility::Stable };
        Self { name, of, source, signature: Signature::exact(vec![DataType::Utf8], volatility) }
    }
}

// A name stands for one function of an engine.
impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Words {}

impl Hash for Words {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Words {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(if matches!(self.of, Of::Sentiment) { DataType::Float64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = arrays[0].as_string::<i32>().iter();
        let out: ArrayRef = match self.of {
            Of::Mask => Arc::new(texts.map(|text| text.map(privacy::mask)).collect::<StringArray>()),
            Of::Keywords => {
                let reader = self.source.reader();
                let hits = |text: &str| {
                    let hits = reader.keywords(text).hits_text();
                    (!hits.is_empty()).then_some(hits)
                };
                Arc::new(texts.map(|text| text.and_then(hits)).collect::<StringArray>())
            }
            Of::Sentiment => {
                let reader = self.source.reader();
                let (mut scratch, mut reading) = (Scratch::default(), Reading::default());
                let mut score = |text: &str| {
                    reader.read_with(&mut scratch, text, Speaker::Customer, &mut reading);
                    f64::from((reading.score * 1000.0).round()) / 1000.0
                };
                Arc::new(texts.map(|text| text.map(&mut score)).collect::<Float64Array>())
            }
        };
        Ok(ColumnarValue::Array(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Float64Type;
    use datafusion::prelude::SessionContext;

    #[tokio::test]
    async fn texts_are_read_in_sql() {
        let context = SessionContext::new();
        all(None).into_iter().for_each(|function| context.register_udf(function));
        let sql = "SELECT sentiment(t) AS s, keywords(t) AS k, mask(t) AS m FROM (VALUES ('太慢了，我要投诉13812345678'), \
                   (CAST(NULL AS VARCHAR)), ('现在')) AS v (t)";
        let frame = context.sql(sql).await.expect("it can be planned");
        let batches = frame.collect().await.expect("it runs");
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("one batch");
        let scores = batch.column(0).as_primitive::<Float64Type>();
        assert!(scores.value(0) < -0.5 && scores.iter().nth(1) == Some(None) && scores.value(2) == 0.0);
        let keywords: Vec<Option<&str>> = batch.column(1).as_string::<i32>().iter().collect();
        assert_eq!(keywords, [Some("complaint:要投诉"), None, None]);
        let masked: Vec<Option<&str>> = batch.column(2).as_string::<i32>().iter().collect();
        assert_eq!(masked, [Some("太慢了，我要投诉138****5678"), None, Some("现在")]);
    }
}
