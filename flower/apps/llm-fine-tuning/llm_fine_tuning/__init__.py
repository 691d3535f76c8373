"""Fine-tuning of a causal language model on instructions: LoRA adapters are trained where the instructions are."""
