"""What is made from the message table: C types and codecs, golden vectors.

python -m firmware_bridge.generate [--check]
"""
