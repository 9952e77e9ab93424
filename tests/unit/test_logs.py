import logging

from image_cloud.logs import WithoutQueries


def test_a_query_is_in_no_line_and_no_traceback() -> None:
    try:
        raise ValueError("/get_image?token=secret is odd")
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = logging.LogRecord(
        "gunicorn.error",
        logging.ERROR,
        "x",
        1,
        "Error handling request %s",
        ("/a?token=secret",),
        found,
    )
    assert WithoutQueries().filter(record)
    line = logging.Formatter().format(record)
    assert "secret" not in line
    assert "Error handling request /a?..." in line


def test_a_query_ends_at_no_quote() -> None:
    refused = "Invalid HTTP request line: 'GET /a?x=\"&y='&token=secret HTTP/1.1'"
    record = logging.LogRecord("gunicorn.error", logging.WARNING, "x", 1, refused, (), None)
    assert WithoutQueries().filter(record)
    assert "secret" not in logging.Formatter().format(record)
