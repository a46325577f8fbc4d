"""The REST service: what people and programs do from outside, over HTTP."""
