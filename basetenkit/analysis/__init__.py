"""From rows to figures: definitions, intervals, findings, charts."""
