"""The command `lightgpt`: one module a command. What a command needs is imported when it is called, torch above all."""
