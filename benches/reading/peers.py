"""Reads pictures with one library, as it is when nothing is set but the language, and prints the pieces it read and how long it took."""

import json
import sys
import time

from PIL import Image

order = json.load(open(sys.argv[1]))


def folder():
    import glob
    import os

    found = sorted(glob.glob("/usr/share/tesseract-ocr/*/tessdata")) + ["/usr/share/tessdata"]
    return os.environ.get("TESSDATA_PREFIX") or found[0]


def pytesseract(language):
    import pytesseract as library

    def read(picture):
        table = library.image_to_data(picture, lang=language, output_type=library.Output.DICT)
        rows = zip(table["text"], table["left"], table["top"], table["width"], table["height"])
        return [row for row in rows if row[0].strip()]

    return read


def tesserocr(language):
    import tesserocr as library

    engine = library.PyTessBaseAPI(path=folder(), lang=language)

    def read(picture):
        engine.SetImage(picture)
        engine.SetSourceResolution(96)
        engine.Recognize()
        pieces = []
        for word in library.iterate_level(engine.GetIterator(), library.RIL.WORD):
            try:
                text = word.GetUTF8Text(library.RIL.WORD)
            except RuntimeError:
                continue
            left, top, right, bottom = word.BoundingBox(library.RIL.WORD)
            pieces.append((text, left, top, right - left, bottom - top))
        return pieces

    return read


def rapidocr(_):
    import logging

    import numpy
    from rapidocr import RapidOCR

    logging.disable(logging.CRITICAL)
    engine = RapidOCR()

    def read(picture):
        found = engine(numpy.array(picture.convert("RGB"))[:, :, ::-1])
        pieces = []
        for box, text in zip(found.boxes if found.boxes is not None else [], found.txts or []):
            xs, ys = [float(point[0]) for point in box], [float(point[1]) for point in box]
            pieces.append((text, min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))
        return pieces

    return read


libraries = {"pytesseract": pytesseract, "tesserocr": tesserocr, "rapidocr": rapidocr}
readers, answers = {}, []
for page in order["pages"]:
    language = page["language"]
    picture = Image.open(page["path"]).convert("RGB")
    if language not in readers:
        key = language if order["peer"] != "rapidocr" else "any"
        readers[language] = readers.get(key) or libraries[order["peer"]](language)
        readers[key] = readers[language]
        readers[language](picture)
    for _ in range(order["rounds"]):
        begun = time.perf_counter()
        pieces = readers[language](picture)
        answers.append({"pieces": pieces, "seconds": time.perf_counter() - begun})
json.dump(answers, sys.stdout)
