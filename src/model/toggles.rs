//! Service toggles: which features a user interface may show.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Features of the original that this server does not have, and what they are. One that is added goes from here.
const OFF: [(&str, &str); 26] = [
    ("pythonEvaluatorEnabled", "Rules in Python that score traces."),
    ("traceThreadPythonEvaluatorEnabled", "Rules in Python that score threads."),
    ("spanLlmAsJudgeEnabled", "Rules by which a model scores spans."),
    ("spanUserDefinedMetricPythonEnabled", "Rules in Python that score spans."),
    ("guardrailsEnabled", "Guardrails."),
    ("opikAIEnabled", "Opik's assistant."),
    ("alertsEnabled", "Alerts."),
    ("welcomeWizardEnabled", "A wizard for newcomers."),
    ("exportEnabled", "Exports."),
    ("costIntelligenceEnabled", "Advice on costs."),
    ("datasetVersioningEnabled", "Versions of datasets."),
    ("datasetExportEnabled", "Exports of datasets."),
    ("demoDataEnabled", "Data for a demonstration."),
    ("openaiProviderEnabled", "Models of OpenAI in the playground."),
    ("anthropicProviderEnabled", "Models of Anthropic in the playground."),
    ("geminiProviderEnabled", "Models of Gemini in the playground."),
    ("openrouterProviderEnabled", "Models of OpenRouter in the playground."),
    ("vertexaiProviderEnabled", "Models of Vertex AI in the playground."),
    ("bedrockProviderEnabled", "Models of Bedrock in the playground."),
    ("customllmProviderEnabled", "Models of one's own in the playground."),
    ("ollamaProviderEnabled", "Models of Ollama in the playground."),
    ("ollieEnabled", "Opik's agent."),
    ("projectHomepageEnabled", "A page for each project."),
    ("agenticToolsEnabled", "Tools of the assistant."),
    ("agentInsightsEnabled", "Insights into agents."),
    ("onlineScoringTracingEnabled", "Traces of the rules that score."),
];

/// Toggles that the contract does not have, and without which the official Python client cannot read the rest.
const OFF_TOO: [&str; 3] =
    ["agentInsightsGuidanceEnabled", "annotationQueueAutomationEnabled", "eventBridgeAlertsEnabled"];

/// Workspaces whose version is set by a list.
const ALLOWLISTS: [(&str, &str); 2] = [
    ("v2WorkspaceAllowlistIds", "Workspaces that are shown as version 2 in any case. Empty: all are."),
    ("v1WorkspaceAllowlistIds", "Workspaces that are shown as version 1 in any case. Empty: none is."),
];

const VERSION: (&str, &str) = ("forceWorkspaceVersion", "The version that all workspaces are shown as.");

/// Rows on a page of a table, unless the user chooses.
const PAGE_SIZE: (&str, &str, i32) = ("defaultPageSize", "Rows on a page of a table, unless the user chooses.", 100);

/// Which features a user interface may show.
#[derive(Debug)]
pub struct ServiceTogglesConfig;

impl Serialize for ServiceTogglesConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in OFF.into_iter().map(|(name, _)| name).chain(OFF_TOO) {
            map.serialize_entry(name, &false)?;
        }
        for (name, _) in ALLOWLISTS {
            map.serialize_entry(name, &[""; 0])?;
        }
        map.serialize_entry(VERSION.0, "version_2")?;
        map.serialize_entry(PAGE_SIZE.0, &PAGE_SIZE.2)?;
        map.end()
    }
}

impl PartialSchema for ServiceTogglesConfig {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        let mut object = ObjectBuilder::new().schema_type(Type::Object).description(Some(
            "Which features a user interface may show. Those that this server does not have are off.",
        ));
        for (name, about) in OFF {
            let toggle = ObjectBuilder::new().schema_type(Type::Boolean).description(Some(about));
            object = object.property(name, toggle).required(name);
        }
        for (name, about) in ALLOWLISTS {
            let list = ArrayBuilder::new().items(text()).unique_items(true).description(Some(about));
            object = object.property(name, list).required(name);
        }
        object = object.property(VERSION.0, text().description(Some(VERSION.1))).required(VERSION.0);
        let page_size = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(5))
            .maximum(Some(100))
            .description(Some(PAGE_SIZE.1));
        object.property(PAGE_SIZE.0, page_size).into()
    }
}

impl ToSchema for ServiceTogglesConfig {}
