"""What a request may be billed for: by the fields of its body, by how it ended, by what its reply
says of that.

A ceiling promises the worst case of a request before it is sent, so every field that could lift it
has to be known: most do nothing to the bill, some are counted, and those that nobody here knows are
refused under `--max-cost`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import JsonValue

from stepdistill.annotator.teacher.body import object_in


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# They say how many tokens an answer may have. Where two are sent, who knows which one is heeded?
_LIMITS = _names(
    "max_tokens max_completion_tokens max_output_tokens max_new_tokens max_gen_len max_length "
    "maxOutputTokens max_tokens_to_sample n_predict num_predict min_tokens min_length "
    "min_new_tokens"
)
# What may be thought beside the answer: some count it against the limit, some do not.
_BUDGETS = _names(
    "thinking_budget thinkingBudget thinking_budget_tokens budget_tokens reasoning_budget "
    "max_reasoning_tokens max_thinking_tokens max_think_tokens"
)
# Each of these numbers is a factor of the bill.
_FACTORS = _names(
    "n best_of num_beams beam_width num_generations num_return_sequences candidate_count "
    "candidateCount num_completions use_beam_search"
)
# Objects whose own fields are looked at as those of the body are.
_OBJECTS = _names(
    "extra_body options google generation_config generationConfig thinking reasoning "
    "thinking_config thinkingConfig output_config text"
)
# How an answer is drawn, sent and kept: it costs by the token whatever they are.
_HARMLESS = _names(
    # drawing tokens
    "temperature top_p top_k min_p typical_p tfs_z top_a top_n_sigma seed random_seed samplers "
    "xtc_probability xtc_threshold dry_multiplier dry_base dry_allowed_length dry_penalty_last_n "
    "dry_sequence_breakers dynatemp_range dynatemp_exponent mirostat mirostat_tau mirostat_eta "
    "repeat_penalty repeat_last_n repetition_penalty presence_penalty frequency_penalty "
    "no_repeat_ngram_size length_penalty do_sample logit_bias logprobs top_logprobs n_probs "
    "prompt_logprobs early_stopping topP topK presencePenalty frequencyPenalty responseLogprobs "
    # where it ends, and its form
    "stop stop_sequences stop_token_ids stop_regex bad_words allowed_token_ids ignore_eos "
    "include_stop_str_in_output no_stop_trim skip_special_tokens spaces_between_special_tokens "
    "response_format format structured_outputs structural_tag guided_json guided_regex "
    "guided_choice guided_grammar guided_decoding_backend guided_whitespace_pattern grammar "
    "json_schema regex ebnf chat_template chat_template_kwargs add_generation_prompt "
    "stopSequences responseMimeType responseSchema responseJsonSchema "
    "continue_final_message add_special_tokens echo detokenize truncate_prompt_tokens transforms "
    # how it is thought about; the limit covers that, or a budget does
    "reasoning_effort verbosity effort enabled exclude type enable_thinking include_reasoning "
    "include_thoughts includeThoughts reasoning_format separate_reasoning stream_reasoning "
    "thinking_level thinkingLevel prompt_mode think summary display "
    # how it is carried and kept
    "stream stream_options user metadata store safety_identifier prompt_cache_key "
    "prompt_cache_retention cache_prompt id_slot slot_id keep_alive num_ctx request_id "
    "parallel_tool_calls tool_choice function_call safe_prompt safety_settings "
    "return_token_ids return_hidden_states safetySettings labels mediaResolution include truncation"
)
# Values with which other fields cost nothing more; None and false are such for every field.
_ORDINARY: dict[str, tuple[JsonValue, ...]] = {
    "service_tier": ("auto", "default", "standard", "standard_only", "on_demand", "flex"),
    "serviceTier": ("standard", "flex"),
    "modalities": (["text"], []),
    "responseModalities": (["TEXT"], []),
}


_USUAL_TIERS = frozenset(
    ("", "auto", "default", "standard", "standard_only", "on_demand", "batch", "none")
)
_LONGEST_TIER = 40  # characters
_TICKS_PER_USD, _COST_BOUND = 10_000_000_000, 1e6
# Not implemented; Cloudflare could not reach the server (521 to 523, 525, 526, 530); overloaded.
_NOT_BEGUN = frozenset({501, 503, 505, 521, 522, 523, 525, 526, 529, 530})
_BROKEN_OFF = re.compile(r"reset|disconnect|terminat|time[ d-]*out", re.I)  # Envoy's 503


def may_be_billed(status: int, words: str) -> bool:
    """Whether a request that ended with this status may have been worked on: a gateway gave up that
    had passed it on, or something broke on the way. words: the error's own."""
    if status == 503 and _BROKEN_OFF.search(words):
        return True
    return status in (408, 499) or (status >= 500 and status not in _NOT_BEGUN)


def tokens_beyond(fields: Mapping[str, object], limit: int) -> int:
    """How many tokens an answer may be billed for beyond its limit: another limit that is higher,
    and what may be thought beside it."""
    highest = max((n for name, n in _numbers(fields) if name in _LIMITS), default=limit)
    return max(0, highest - limit) + thought_tokens(fields)


def thought_tokens(fields: Mapping[str, object]) -> int:
    """How many tokens its fields let it think for, beside what it answers; 0 where they name none,
    or -1, which bounds nothing."""
    return sum(max(0, n) for name, n in _numbers(fields) if name in _BUDGETS)


def why_unbounded(fields: Mapping[str, object], model: str) -> str | None:
    """Why a worst case cannot be told of a body with these fields; None where it can. model: whose
    price is known."""
    for name, value in fields.items():
        if value is None or value is False or name in _HARMLESS:
            continue
        said = f"`{name}: {value}`"[:80]
        if name in _OBJECTS and isinstance(value, dict):
            why = why_unbounded(cast(dict[str, object], value), model)
        elif name in _LIMITS or name in _BUDGETS:
            is_bound = isinstance(value, int) and value >= 0 and value is not True
            why = None if is_bound else f"{said} bounds nothing"
        elif name in _FACTORS:
            is_one = value == 1 and value is not True
            why = None if is_one else f"{said} is paid that often, and one answer is read"
        elif value in _ORDINARY.get(name, ()) or (name == "model" and value == model):
            why = None
        else:
            why = f"nobody can say what {said} adds to the bill"
        if why is not None:
            return why
    return None


def _numbers(fields: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    for name, value in fields.items():
        if isinstance(value, int):
            yield name, value
        elif name in _OBJECTS and isinstance(value, dict):
            for inner, n in _numbers(cast(dict[str, object], value)):
                # OpenRouter's `reasoning: {max_tokens: 2000}` is thought beside the answer.
                is_thought = name in ("thinking", "reasoning") and inner in _LIMITS
                yield ("thinking_budget" if is_thought else inner), n


def tier_of(name: object) -> str | None:
    """The tier that a reply says it was served at; None for the usual one, by whichever name."""
    if name is None or not isinstance(name, str):
        return None
    tier = name.strip().lower()[:_LONGEST_TIER]
    return None if tier in _USUAL_TIERS else tier


def cost_of(used: object) -> float | None:
    """What a provider says in its usage that an answer cost, in USD: `cost` of OpenRouter and many
    gateways, an object with a total of Perplexity, ticks of xAI; None where it says nothing that
    can be believed."""
    fields = object_in(used) or {}
    if "cost" not in fields and "cost_in_usd_ticks" not in fields:
        return None  # as nearly always
    cost, ticks = fields.get("cost"), fields.get("cost_in_usd_ticks")
    if (parts := object_in(cost)) is not None:
        cost = parts.get("total_cost")
    if cost is None and isinstance(ticks, int):
        cost = ticks / _TICKS_PER_USD
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return None
    return float(cost) if 0 <= cost < _COST_BOUND else None
