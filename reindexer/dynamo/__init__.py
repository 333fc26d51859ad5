"""DynamoDB: clients, wire format, the error taxonomy. The only room that touches boto3's client."""
